;; Says that its answer lies at an address that is not aligned.
(func $handle (param i32) (result i32) (i32.const 1025))
