;; Hands the host bytes that are no text.
(func $handle (param i32) (result i32)
  (i64.store (i32.const 4096) (i64.const -1))
  (call $log (i32.const 0) (i32.const 4096) (i32.const 8))
  (unreachable))
