"""The thin library behind the notebooks; the first line of each room says what it knows."""

from lib import cluster

# `from lib import machine, workspace` is short to type.
from lib.base import machine as machine
from lib.base import work
from lib.base import workspace as workspace

work.executors.append(cluster.Workers)
