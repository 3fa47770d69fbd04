"""Tasks of the DeepMind Control Suite in TensorFlow, whose symmetries can be broken by degrees."""
