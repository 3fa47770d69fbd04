"""What is known of the symmetries of gymnasium's environments."""
