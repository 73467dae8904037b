"""Average precision on the Server Machine Dataset, the model beside its baselines.

    python tests/benchmarks/detection.py --data-dir DIR [--seeds 0,1,2] [--machines 1-7,2-1]

DIR holds `smd/train`, `smd/test` and `smd/test_label` as the data set's authors published them
(github.com/NetManAIOps/OmniAnomaly, MIT), gzipped or not. Models see the training file only. Each
row of the test file is scored by the window ending there; the first T - 1 rows get no score and are
left out for every method. No point adjustment anywhere.
"""


import numpy as np
from numpy.typing import NDArray

STEP_SECONDS = 60.0
Found = dict[str, NDArray[np.float64]]
