"""What is executed: one module per subject. docs/scenarios.md shows how to add one."""
