/** The last `size` values, oldest first. Null is "not measured". */
export class Ring {
  private readonly values: (number | null)[] = [];

  constructor(private readonly size: number) {}

  push(value: number | null): void {
    this.values.push(value);
    if (this.values.length > this.size) this.values.shift();
  }

  read(): readonly (number | null)[] {
    return this.values;
  }
}
