"""What a run would do, cost and have to be allowed, told before it does anything."""
