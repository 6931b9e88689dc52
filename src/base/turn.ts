/** Lets the event loop go round once, so that everything else has its turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
