"""A mock server that Connexion makes of the published schema of the Console API; run by uvicorn, which prints its port.

It refuses what the schema does not allow, and answers with the published examples.
"""

from __future__ import annotations

from pathlib import Path

from connexion import AsyncApp
from connexion.mock import MockResolver

app = AsyncApp(__name__, specification_dir=Path(__file__).parents[1] / "cli")
app.add_api("console-api.yaml", resolver=MockResolver(mock_all=True))
