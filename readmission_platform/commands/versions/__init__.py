"""Commands about versions: training, evidence, promotion, and the way back."""
