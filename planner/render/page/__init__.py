"""The report as one HTML page that an auditor can be handed: `content` in, the text of a `document` out."""
