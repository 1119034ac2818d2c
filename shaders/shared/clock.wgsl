// The clock that counts steps on the device: [0] steps done, [1] fault (0, or 1 + the step that went bad), [2..4] the seed.
