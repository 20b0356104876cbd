"""Building blocks of edgefer's HTML pages: SVG, style, script, content security policy (extra `report`)."""
