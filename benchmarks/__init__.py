"""Speed and accuracy measured against peers; run with make bench."""
