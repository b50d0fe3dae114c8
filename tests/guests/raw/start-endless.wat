;; Computes for ever before it is even instantiated: when it is deployed.
(func $start (loop $again (br $again)))
