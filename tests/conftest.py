# First of all imports: it loads tf-agents beside Keras 3, which nothing may do before it, and keeps
# the start-up chatter of TensorFlow and gym away.
import tf_equirl.agents  # noqa: F401
