"""The report as one HTML page, for an auditor: made from a `content.Page`, by `document.render_page`."""
