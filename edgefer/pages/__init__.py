"""What edgefer's HTML pages are made of: SVG by hand, style, script, content security policy (extra `report`)."""
