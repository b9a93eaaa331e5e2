"""Background tasks, batched document updates and session lifetime."""
