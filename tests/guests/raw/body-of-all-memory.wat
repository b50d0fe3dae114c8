;; Answers with all the memory that it can get.
(func $handle (param i32) (result i32)
  (drop (memory.grow (i32.const 1000)))
  (call $respond (i32.const 0) (i32.const 0) (i32.const 0) (i32.mul (memory.size) (i32.const 65536))))
