"""Days of discharges: taken in, scored, traced back."""
