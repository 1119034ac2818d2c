"""One module per family of cases. Each has

    FILE           the JSON file that it makes
    make(cases)    adds the cases, computed by TensorFlow and Keras
    FORWARD        op -> f(attrs, **inputs): the same in NumPy, an array (output "y") or a dictionary of outputs
    GRADIENT       op -> f(attrs, inputs, cotangents): gradients that differences cannot give (ties, kinks); optional

`store` has numbers and files, `check` compares, `training` makes and checks the two trainings.
"""
