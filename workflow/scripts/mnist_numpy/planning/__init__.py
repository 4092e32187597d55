"""What is known of a run before it starts."""
