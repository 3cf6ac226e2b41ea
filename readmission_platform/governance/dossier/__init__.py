"""The sealed folder an auditor is handed: its manifest and its contents."""
