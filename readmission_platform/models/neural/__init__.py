"""Neural networks on the inputs of one table: trained by PyTorch in as many processes as asked for, scored without it.

What belongs here: everything about such models that does not know the columns of one. What does not: any model, and
the parts that other kinds of models of one table share (``models.tabular``).

Training needs the extra ``pytorch``; it happens in processes of its own (``training``), which the platform starts and
watches (``supervisor``). Scoring, storing and loading need NumPy and safetensors.
"""
