"""Whether the model is still right: windows, live verdicts, and the page that shows them."""
