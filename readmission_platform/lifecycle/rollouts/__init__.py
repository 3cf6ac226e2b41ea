"""What the platform does with roll-outs: start them, watch the arms, take the steps, take versions back."""
