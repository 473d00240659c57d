"""Makes TensorFlow list a GPU, so that Keras compiles and 05 chooses its networks as where there is one.

Every Python process that has this folder in PYTHONPATH begins here, kernels included. All is computed on
the CPU, but by XLA, which rounds otherwise.
"""

# TensorFlow brings it.
import wrapt


@wrapt.when_imported("tensorflow")
def add_gpu(tensorflow):
    config = tensorflow.config
    list_real = config.list_physical_devices
    gpu = config.PhysicalDevice(name="/physical_device:GPU:0", device_type="GPU")

    def list_devices(device_type=None):
        more = [gpu] if device_type in (None, "GPU") else []
        return [*list_real(device_type), *more]

    config.list_physical_devices = list_devices
