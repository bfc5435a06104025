"""What a project may do without: each is loaded for the project that has it. `parse` calls them."""
