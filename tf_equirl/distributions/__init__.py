"""What the outputs of a policy mean."""

from tf_equirl._tensorflow import require_tensorflow

require_tensorflow("tf_equirl.distributions")

from tf_equirl.distributions.categorical import Categorical
from tf_equirl.distributions.distribution import Distribution
from tf_equirl.distributions.gaussian import Gaussian, SquashedGaussian

__all__ = ["Categorical", "Distribution", "Gaussian", "SquashedGaussian"]
