"""The scope of a model: which clips it answers, how unlike the others are, and which views of a clip are possible."""
