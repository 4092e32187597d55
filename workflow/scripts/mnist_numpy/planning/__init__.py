"""The planner: which results a config asks for, what each of them depends on, and which of them exist."""
