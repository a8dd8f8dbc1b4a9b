"""What the commands share, and the commands themselves."""
