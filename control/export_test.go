package control

// OnPoint has a test hear of each point of a change at which a process may be
// killed.
func (o *Operator) OnPoint(f func(point string)) *Operator {
	o.reached = f
	return o
}
