"""Notice before a camera is switched on: the same text in the terminal, on the page and in the docs."""

NOTICE = (
    "People in the picture must be told and must agree.",
    "In the EU, inferring emotions at work and in education is prohibited (AI Act, Article 5). Anyone exposed to it "
    "elsewhere must be informed (Article 50).",
    "Labels marked unsure go to a person, not into a decision. An expression is not a feeling.",
    "Frames are neither stored nor sent, unless you ask for a recording.",
)
