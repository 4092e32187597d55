"""What is done before jobs run: which results are wanted, what they depend on, and which of them exist."""
