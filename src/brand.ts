declare const brand: unique symbol;

/** `T` with a name that the compiler holds apart from every other `T`; no cost at run time. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };
