"""What a machine is and can do."""
