"""What pytorch_GAN_zoo calls the parts of its files: enough to recognise one without PyTorch."""

# In the order of preference: the running mean is what images are made with.
NETWORKS = ("avgG", "netG")
FIRST_LAYER = "formatLayer"
