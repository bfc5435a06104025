"""Optional parts of a project: each module is loaded only for a project that uses it. `parse` calls them."""
