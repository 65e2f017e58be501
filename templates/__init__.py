"""What a person sees: Jinja2 templates, their style and their localisations."""

from pathlib import Path

FOLDER = Path(__file__).parent
