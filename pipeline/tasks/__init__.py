"""What a run can be for: one module a task, all through the same loop and run folder."""
