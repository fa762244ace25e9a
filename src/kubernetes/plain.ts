/** The same members without the library's class: for objects that are built as plain data. */
export type Plain<T> = T extends Date
  ? T
  : T extends (infer Element)[]
    ? Plain<Element>[]
    : T extends object
      ? { [Member in keyof T]: Plain<T[Member]> }
      : T;
