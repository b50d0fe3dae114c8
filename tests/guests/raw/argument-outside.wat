;; Hands the host a string of two gibibytes that it does not have.
(func $handle (param i32) (result i32)
  (call $log (i32.const 0) (i32.const 0) (i32.const 0x7fffffff))
  (unreachable))
