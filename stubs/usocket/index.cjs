throw new Error('usocket is left out: it does not build on current Node, and no method here passes file descriptors');
