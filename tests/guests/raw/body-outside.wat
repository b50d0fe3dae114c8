;; Answers with a gibibyte that it does not have.
(func $handle (param i32) (result i32)
  (call $respond (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 0x40000000)))
