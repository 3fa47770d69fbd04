import tf_equirl  # noqa: F401  (first, so that TensorFlow's start-up chatter stays away)
