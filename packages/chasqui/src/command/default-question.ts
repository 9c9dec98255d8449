/** What `chasqui run` asks when it is given no question: it takes a search and a computation to answer. */
export const defaultQuestion = "What is the difference between the heights of Mount Everest and Mount Fuji?"
