;; Calls the host from ever deeper in its stack.
(func $deeper (param i64) (result i64)
  (call $print)
  (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
(func $handle (param i32) (result i32) (drop (call $deeper (i64.const 0))) (unreachable))
