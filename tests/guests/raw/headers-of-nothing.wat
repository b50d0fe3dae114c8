;; Answers with three million empty headers, each of which costs the host more than it costs the guest.
(func $handle (param i32) (result i32)
  (drop (memory.grow (i32.const 1000)))
  (call $respond (i32.const 131072) (i32.const 3000000) (i32.const 0) (i32.const 0)))
