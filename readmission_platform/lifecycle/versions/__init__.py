"""What is true of a version, what is decided about it, and the documents that show it."""
