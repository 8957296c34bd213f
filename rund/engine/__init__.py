"""Pure decisions: what a restart does, what runs next, what a daemon finds when it comes back."""
